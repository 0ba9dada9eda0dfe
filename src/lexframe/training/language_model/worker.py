"""One process of a run: reads the job, trains, and shows how far it is on standard error."""

import json
import sys
import time
from pathlib import Path

import torch

from lexframe.exceptions import InterruptedRunError
from lexframe.training.language_model.plan import PretrainingPlan
from lexframe.training.language_model.run import Pretraining, TrainingProgress


def work(job_file: str) -> None:
    """Run the job that :func:`~lexframe.training.language_model.launch.pretrain` wrote to `job_file`."""
    from transformers import AutoTokenizer

    job = json.loads(Path(job_file).read_text())
    tokenizer = AutoTokenizer.from_pretrained(job["tokenizer"])
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
    else:
        torch.set_num_threads(1)
    run = Pretraining(PretrainingPlan(**job["plan"]), job["tokens_file"], tokenizer, job["out"])
    last = [0.0]

    def show(progress: TrainingProgress) -> None:
        now = time.monotonic()
        if now - last[0] > 2 or progress.seconds_left == 0:
            last[0] = now
            minutes, seconds = divmod(int(progress.seconds_left), 60)
            sys.stderr.write(
                f"\rstep {progress.step:,}  loss {progress.loss:.3f}  {progress.tokens / 1e6:.2f}M tokens  "
                f"{progress.tokens_per_second:,.0f} tokens/s  {minutes}:{seconds:02d} left "
            )
            sys.stderr.flush()

    try:
        run.run(show)
    except InterruptedRunError as error:
        sys.stderr.write(f"\n{error}\n")
        sys.exit(130)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    sys.stderr.write("\n")


if __name__ == "__main__":
    work(sys.argv[1])
