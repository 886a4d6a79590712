"""The studies behind ``pcgen bench``: what is compared, how it is timed, how it is reported."""
