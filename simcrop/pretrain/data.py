"""The training batches: item i of `Batches` is part i of the run, whatever was drawn before it.

Every random choice is a function of the seed and of the epoch, step and part alone, so that a
resumed run needs no random state, workers may compute parts in any order, and several processes
draw the same for the whole part before each takes its rows.
"""

import os
import signal
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from simcrop import processes, runs
from simcrop.errors import InputError
from simcrop.formats.volumes import VolumeStore
from simcrop.models.masking import random_visible, random_words
from simcrop.pretrain.augmentation import Region, augmented, region
from simcrop.pretrain.reports import Reports

_MEMORY = 2 * 1024**3  # bytes of volumes that are held rather than read anew each epoch
_WORKERS = 16
_ORDER, _AUGMENTATION, _PATCHES, _WORDS = range(4)


def training_cases(table: pd.DataFrame, run: runs.Encoder) -> pd.DataFrame:
    """The rows that a run trains on: split train, a volume and, where reports are read, findings.

    Raises:
        InputError: none is left.
    """
    chosen = (table["split"] == "train") & (table["path"] != "")
    if run.method.objectives.reads_reports:
        chosen &= table["findings"].str.strip() != ""
    if chosen.sum() < 2:
        raise InputError(
            f"{run.cases}: {chosen.sum()} training cases with a volume"
            f"{' and findings' if run.method.objectives.reads_reports else ''}; "
            f"method '{run.name}' needs two or more"
        )
    return table[chosen].reset_index(drop=True)


class Volumes:
    """The volumes of some cases, held in memory where they are small."""

    def __init__(self, paths: Sequence[str], cases: Sequence[str]) -> None:
        self._store = VolumeStore(paths)
        missing = sorted(set(cases) - set(self._store.cases))
        if missing:
            raise InputError(
                f"{missing[0]}: in the case table but in none of the volume stores "
                f"({len(missing)} such cases); run the prepare stage again"
            )
        first = self._store.read(cases[0])
        self.in_memory = first.nbytes * len(cases) <= _MEMORY
        self._held = {case: self._store.read(case) for case in cases} if self.in_memory else {}

    def shape(self, case: str) -> tuple[int, int, int]:
        """Voxels along x, y and z."""
        return self._held[case].shape if self._held else self._store.shape(case)

    def read(self, case: str, part: Region) -> np.ndarray:
        """A region of a volume, int16 HU."""
        return self._held[case][part] if self._held else self._store.read(case, part)


class Batches(Dataset):
    """All parts of all batches of a run, in order: `len` is epochs x steps x accumulation.

    Raises:
        InputError: a part has fewer scans than there are processes to share it.
    """

    def __init__(
        self, run: runs.Encoder, cases: Sequence[str], volumes: Volumes, reports: Reports | None
    ) -> None:
        self.volumes = volumes
        self._run, self._cases, self._reports = run, list(cases), reports
        self._batch = min(run.recipe.batch, len(cases))
        self.steps_per_epoch = len(cases) // self._batch
        smallest = self._batch // run.recipe.accumulation
        if smallest < processes.size():
            raise InputError(
                f"method '{run.name}': batches of {self._batch} scans in {run.recipe.accumulation} "
                f"parts (pretrain.recipe.accumulation) leave {smallest} a part, for "
                f"{processes.size()} processes; take fewer processes or parts"
            )

    def __len__(self) -> int:
        recipe = self._run.recipe
        return recipe.epochs * self.steps_per_epoch * recipe.accumulation

    def __getitem__(self, number: int) -> dict[str, Any]:
        """This process's rows of a part as `Pretrainer.forward` takes them, and all its `cases`.

        Report words come as ids: `report_ids`, (B, L) long with the hidden words masked.
        """
        run = self._run
        chosen = self._chosen(number)
        batch: dict[str, Any] = {"cases": [self._cases[i] for i in chosen]}
        own = np.array_split(np.arange(len(chosen)), processes.size())[processes.rank()]
        batch["volume"] = torch.stack([self._volume(i, number) for i in chosen[own]])
        batch["visible"] = random_visible(
            len(chosen),
            run.encoder.tokens,
            run.method.mask_ratio,
            self._generator(_PATCHES, number),
        )[own]
        objectives = run.method.objectives
        if objectives.report_reconstruction:
            ratio = objectives.report_reconstruction.mask_ratio
            masked = self._masked_reports(chosen, number, ratio)
            batch |= {name: rows[own] for name, rows in masked.items()}
        if objectives.sentence_alignment:
            batch |= self._sentences(chosen)
        if objectives.global_contrast:
            batch["identity"] = self._reports.report[chosen]
            batch["reports"] = self._reports.means[batch["identity"]]
        return batch

    def _chosen(self, number: int) -> np.ndarray:
        """The cases of part `number`: each epoch takes all in a new order, but an odd rest."""
        step, part = divmod(number, self._run.recipe.accumulation)
        epoch, step = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self._run.seed, _ORDER, epoch]).permutation(len(self._cases))
        batch = order[step * self._batch : (step + 1) * self._batch]
        return np.array_split(batch, self._run.recipe.accumulation)[part]

    def _volume(self, index: int, number: int) -> Tensor:
        run, case = self._run, self._cases[index]
        rng = np.random.default_rng([run.seed, _AUGMENTATION, number, index])
        shape = run.encoder.volume
        part = region(self.volumes.shape(case), shape, run.recipe.crop, rng)
        return augmented(self.volumes.read(case, part), shape, run.recipe, rng)

    def _masked_reports(self, chosen: np.ndarray, number: int, ratio: float) -> dict[str, Tensor]:
        reports = self._reports
        words = [reports.words[i] for i in reports.report[chosen]]
        targets = pad_sequence(words, batch_first=True, padding_value=reports.pad_token)
        maskable = ~torch.isin(targets, reports.special)
        hidden = random_words(maskable, ratio, self._generator(_WORDS, number))
        return {
            "report_ids": targets.masked_fill(hidden, reports.mask_token),
            "report_mask": targets != reports.pad_token,
            "report_hidden": hidden,
            "report_targets": targets,
        }

    def _sentences(self, chosen: np.ndarray) -> dict[str, Tensor]:
        carried = [self._reports.carried[i] for i in chosen]
        owner = torch.repeat_interleave(torch.tensor([len(one) for one in carried]))
        different, sentence = torch.cat(carried).unique(return_inverse=True)
        words = [self._reports.sentences[i] for i in different]
        lengths = torch.tensor([len(one) for one in words])
        return {
            "sentence_words": pad_sequence(words, batch_first=True),
            "sentence_mask": torch.arange(int(lengths.max())) < lengths[:, None],
            "sentence": sentence,
            "owner": owner,
        }

    def _generator(self, kind: int, number: int) -> torch.Generator:
        rng = np.random.default_rng([self._run.seed, kind, number])
        return torch.Generator().manual_seed(int(rng.integers(2**63)))


def loader(batches: Batches, first: int) -> DataLoader:
    """The parts from number `first` on.

    Volumes in memory are cut in place; others are read ahead, by a worker for each of the cores
    that the training's processes here share.
    """
    cores = max(1, len(os.sched_getaffinity(0)) // processes.on_this_node())
    return DataLoader(
        batches,
        batch_size=None,
        sampler=range(first, len(batches)),
        num_workers=0 if batches.volumes.in_memory else min(_WORKERS, cores),
        generator=torch.Generator(),
        worker_init_fn=_deaf,
        pin_memory=torch.cuda.is_available(),
    )


def _deaf(_: int) -> None:
    """A signal to all of a job's processes must not end the readers before the state is saved."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
