"""``lexframe models``: what ``--model`` takes, and what was kept of GGUF files."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer

from lexframe.cli import options, printing
from lexframe.text_forms import counted, printable

ELSEWHERE = {
    "tfidf": "No model: TF-IDF of words and characters, fitted on the texts at hand, to hold models against or to read beside them.",
    "FOLDER": "A language model of transformers (config.json, safetensors), a sentence encoder (modules.json) or a text VAE (vae.json).",
    "FILE.gguf": "A model of llama.cpp, or a folder with one: read once, kept in the cache, then opened like a folder.",
    "HUB ID": "A model of the Hugging Face hub, such as gpt2 or meta-llama/Llama-3.2-1B; people/model:file.gguf for one of its GGUF files.",
}


def models(
    action: Annotated[
        Literal["list", "clean"], typer.Argument(help="list, or clean: remove what was kept of GGUF files, which can be made again.")
    ] = "list",
    down_to: Annotated[
        float,
        typer.Option(min=0, metavar="GB", help="With clean: remove only until the rest takes so much, those not used for longest first."),
    ] = 0.0,
    as_json: options.Json = False,
) -> None:
    """List the models that --model takes by name: size, licence, hash, where from, and the line that brings what is missing."""
    from lexframe.exceptions import InputError
    from lexframe.spaces import model_cache

    if action == "clean":
        removed = model_cache.clean(int(down_to * 1e9))
        if as_json:
            printing.document({"removed": [_kept(each) for each in removed], "folder": str(model_cache.cache_folder())})
        else:
            size = sum(each.n_bytes for each in removed) / 1e6
            printing.note(f"Removed {counted(len(removed), 'model')} ({size:,.0f} MB) from {model_cache.cache_folder()}.")
        return
    if down_to:
        raise InputError("down_to goes with clean: lexframe models clean --down-to 5.", parameter="down_to")
    from lexframe.spaces.model_list import hub_models, named_models

    listed, kept = [*named_models(), *hub_models()], model_cache.kept_models()
    if as_json:
        printing.document({"models": [asdict(each) for each in listed], "kept": [_kept(each) for each in kept], "elsewhere": ELSEWHERE})
        return
    printing.table(
        ["name", "parameters", "on disk", "licence", "hash", "here"],
        [
            [
                printable(each.name), _millions(each.n_parameters), f"{each.megabytes:,.0f} MB" if each.megabytes else "–",
                printable(each.licence) or "–", each.hash[:12] or "–", "yes" if each.is_here else "no",
            ]
            for each in listed
        ],
    )  # fmt: skip
    for each in listed:
        if each.use:
            printing.note(f"\n{each.name}\n  {each.use}\n  From {each.source}." + (f"\n  {each.install}" if each.install else ""))
    for name, use in ELSEWHERE.items():
        printing.note(f"\n{name}\n  {use}")
    if kept:
        printing.note(f"\nKept of GGUF files in {model_cache.cache_folder()} ('lexframe models clean' removes them):")
        for one in kept:
            printing.note(
                f"  {printable(one.origin.file)}  {one.origin.quantization}  {one.n_bytes / 1e6:,.0f} MB  {one.origin.sha256[:12]}"
            )


def _kept(model: Any) -> dict[str, Any]:
    return {"folder": str(model.folder), "megabytes": model.n_bytes / 1e6, "used": model.used, **asdict(model.origin)}


def _millions(number: int | None) -> str:
    return "–" if number is None else f"{number / 1e6:,.1f} M"
