"""Who answers: a model in this process, or an endpoint; the options are the same in every verb."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lexframe.cli import printing
from lexframe.cli.bundles import FieldsOf
from lexframe.exceptions import InputError


@dataclass(frozen=True, kw_only=True)
class Answering:
    """A language model that answers.

    Attributes
    ----------
    model : str
        In this process, or as the endpoint calls it.
    endpoint : str or None
        Address of a server of the OpenAI protocol.
    key_variable : str
        Name of the environment variable that holds the key.
    timeout, retries, concurrency
        See :class:`~lexframe.verbal.clients.endpoint.EndpointClient`.
    dtype, device
        Of a model in this process.
    """

    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", metavar="MODEL", help="An instruction-tuned model: smollm2, a folder, a GGUF file, a Hugging Face id."
        ),
    ] = "smollm2"
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask a server of the OpenAI protocol instead, such as http://localhost:8000/v1."),
    ] = None
    key_variable: Annotated[str, typer.Option(metavar="NAME", help="Environment variable that holds the key of the endpoint.")] = (
        "OPENAI_API_KEY"
    )
    timeout: Annotated[float, typer.Option(help="Seconds that the endpoint has for an answer.")] = 60.0
    retries: Annotated[int, typer.Option(min=0, help="Times that an endpoint which fails is asked again.")] = 5
    concurrency: Annotated[int, typer.Option(min=1, help="Calls to an endpoint at the same time.")] = 4
    dtype: Annotated[str | None, typer.Option(help="What a model in this process runs in. Default: what is fastest here.")] = None
    device: Annotated[str | None, typer.Option(metavar="DEVICE", help="Such as cpu or cuda. Default: a GPU if there is one.")] = None

    def client(self) -> Any:
        """The client.

        Raises
        ------
        InputError
            If the model was not made to answer, an address is none, or a key is missing.
        """
        if self.endpoint is not None:
            if self.dtype is not None or self.device is not None:
                raise InputError(
                    "dtype and device are of a model in this process, and an endpoint was named.", parameter=("dtype", "device")
                )
            from lexframe.verbal.clients.endpoint import EndpointClient

            return EndpointClient(
                model=self.model, base_url=self.endpoint, key_variable=self.key_variable, timeout=self.timeout, retries=self.retries,
                concurrency=self.concurrency,
            )  # fmt: skip
        from lexframe.spaces.base import ChatSpace
        from lexframe.spaces.precision import fastest_precision
        from lexframe.spaces.registry import open_space
        from lexframe.verbal.clients.local import LocalClient

        printing.quiet_libraries()
        dtype: Any = self.dtype or fastest_precision(self.device and self.device.split(":")[0])
        space = open_space(self.model, dtype=dtype, **({} if self.device is None else {"device": self.device}))
        if not isinstance(space, ChatSpace):
            raise InputError(
                f"{self.model} does not answer in a chat. Name an instruction-tuned model, such as smollm2.", parameter="model"
            )
        return LocalClient(space)


Answered = Annotated[Answering, FieldsOf(Answering)]
