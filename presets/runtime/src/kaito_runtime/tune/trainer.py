"""TRL's trainer with checkpoints that are known to be whole."""

from __future__ import annotations

from typing import Any

from transformers.trainer_utils import rotate_checkpoints
from trl import SFTTrainer

from kaito_runtime.tune.output_folder import OutputFolder
from kaito_runtime.tune.progress import Progress


class DurableTrainer(SFTTrainer):  # type: ignore[misc]  # trl has no types
    """Older checkpoints go only after the new one is on the disk and marked."""

    def __init__(self, *arguments: Any, output: OutputFolder, progress: Progress, **named: Any) -> None:
        super().__init__(*arguments, callbacks=[progress], **named)
        self._output = output
        self._progress = progress

    def create_model_card(self, *arguments: Any, **named: Any) -> None:
        """No README.md in the user's folder: the manifest says what the adapter was made from."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        # Every process writes the state of its random numbers.
        self.accelerator.wait_for_everyone()
        step = self.state.global_step
        if self.args.should_save:
            self._output.mark_checkpoint(step, seconds=self._progress.seconds, tokens=self._progress.tokens)
            rotate_checkpoints(
                output_dir=self.args.output_dir,
                save_total_limit=limit,
                best_model_checkpoint=self.state.best_model_checkpoint,
            )
        self._progress.saved(step)
