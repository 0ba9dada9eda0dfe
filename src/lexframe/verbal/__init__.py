"""Verbalized machine learning: models whose parameters are text, trained by a language model, with an audit trail."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "baselines": ["Score"],
        "clients.base": ["Client", "ClientError", "Grammar", "Message", "Reply", "Request"],
        "clients.endpoint": ["EndpointClient"],
        "clients.kept": ["CallLog", "KeptClient"],
        "clients.local": ["LocalClient"],
        "clients.metered": ["Budget", "MeteredClient", "Price", "Spent"],
        "clients.scripted": ["ScriptedClient"],
        "estimators": ["VerbalClassifier", "VerbalRegressor"],
        "fitting": ["Checks", "Watching", "classification_sample", "fit", "regression_sample", "replay", "task_of", "scored_sample"],
        "history": ["Step"],
        "learner": ["Learner", "Reading"],
        "losses": ["Predicted"],
        "obedience": ["Obedience", "Stated", "measure_obedience", "stated_labels", "stated_split"],
        "parameter_path": ["ParameterPath", "follow_parameters"],
        "parameters": ["Parameters"],
        "prediction_trace": ["PredictionTrace", "trace_predictions"],
        "projection": ["Beside", "Projection", "ReplyLengths", "project"],
        "rows": ["Rows"],
        "run": ["VerbalRun"],
        "settings": ["Proposing", "Selection", "Settings", "Steps"],
        "task": ["Sample", "Task"],
    },
)
