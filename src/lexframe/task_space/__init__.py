"""Task spaces: how the abilities of a language model relate, from the gradients of contrasting pairs, with a noise floor."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "building": ["build_task_space"],
        "comparison": ["TaskSpaceComparison", "compare_task_spaces"],
        "gradients": ["GradientSettings"],
        "result": ["DroppedTask", "TaskFacts", "TaskSpace"],
        "task_files": ["read_tasks"],
        "tasks": ["Contrast", "Task"],
        "transfer": ["TransferSettings", "measure_transfer"],
        "transfer_result": ["Transfer"],
        "work": ["Work"],
    },
)
