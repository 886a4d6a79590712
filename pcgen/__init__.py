"""pcgen: generative models of sparse detector signals as weighted point clouds."""

__version__ = "0.1.0"
