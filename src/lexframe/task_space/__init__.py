"""Task spaces: how the abilities of a language model relate, from the gradients of contrasting pairs, with a noise floor."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "building": ["build_task_space"],
        "comparison": ["TaskSpaceComparison", "compare_task_spaces"],
        "result": ["DroppedTask", "TaskFacts", "TaskSpace"],
        "settings": ["GradientSettings", "TransferSettings"],
        "space_findings": ["Findings", "findings"],
        "task_files": ["read_tasks"],
        "tasks": ["Contrast", "Task"],
        "transfer": ["measure_transfer"],
        "transfer_result": ["Transfer"],
        "work": ["Work"],
    },
)
