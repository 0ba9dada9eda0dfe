"""``lexframe models``: what ``--model`` takes."""

from dataclasses import asdict

from lexframe.cli import options, printing

ELSEWHERE = {
    "FOLDER": "A language model of transformers (config.json, safetensors), a sentence encoder (modules.json) or a text VAE (vae.json).",
    "HUB ID": "A model of the Hugging Face hub, such as gpt2, HuggingFaceTB/SmolLM2-135M-Instruct or meta-llama/Llama-3.2-1B.",
}


def models(as_json: options.Json = False) -> None:
    """List the models that --model takes by name, with size, licence and what they are for."""
    from lexframe.spaces.model_cards import shipped_models

    cards = shipped_models()
    if as_json:
        printing.document({"shipped": [asdict(card) for card in cards], "elsewhere": ELSEWHERE})
        return
    printing.table(["name", "size", "licence"], [[card.name, f"{card.megabytes:.1f} MB", card.licence] for card in cards])
    for name, use in [*((card.name, card.use) for card in cards), *ELSEWHERE.items()]:
        printing.note(f"\n{name}\n  {use}")
