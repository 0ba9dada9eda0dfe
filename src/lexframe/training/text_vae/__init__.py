"""Training of a text VAE."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "data": ["TrainingTexts", "split_texts"],
        "log": ["TextVAEProgress", "read_training_log"],
        "plain_likelihood": ["plain_nats"],
        "plan": ["TextVAEPlan", "autoencoder", "plain_language_model", "plain_vae"],
        "run": ["TextVAETraining"],
    },
)
