"""Scripted models that do as they are told, or badly: what a training loop is worth can be told from them alone."""

import random
import re

import numpy as np

from lexframe.verbal.clients.scripted import ScriptedClient

ROW = re.compile(
    r"^(?P<number>\d+)\. (?P<row>.*?) \| output (?P<output>\S*) \| target (?P<target>\S+) \| residual (?P<residual>\S+)$", re.MULTILINE
)
CURRENT = re.compile(r"^Formula:\n(.+)$", re.MULTILINE)
STATED = re.compile(r"If (?P<what>.+?), the output is (?P<one>.+?)\. Otherwise the output is (?P<other>.+?)\.(?:\n|$)")


def prompt_of(request):
    return request.messages[-1].content


def batch_in(prompt):
    """Inputs (n, d) and targets that a prompt shows, in the order of the batch."""
    rows = sorted(ROW.finditer(prompt), key=lambda each: int(each["number"]))
    inputs = [[float(value) for value in re.findall(r"= ([^,|]+)", each["row"])] for each in rows]
    return np.array(inputs), np.array([float(each["target"]) for each in rows])


def proposal(reasoning, descriptions, block=""):
    return f"Reasoning: {reasoning}\nNew Pattern Descriptions: {descriptions}\n{block}"


def obeys(request):
    """What an obedient model answers to a text that splits rows by their input."""
    prompt = prompt_of(request)
    descriptions = prompt.split("## Pattern descriptions\n")[1].split("\n\n## Output format")[0]
    row = prompt.split("## Input\n")[1]
    stated = STATED.search(descriptions)
    if stated is None:
        return "Output: 5" if "a number" in prompt else "Output: " + prompt.split("one of the labels ")[1].split(";")[0].split("\n")[0]
    above = re.match(r"(\S+) is above (\S+)", stated["what"])
    if above:
        value = float(re.search(rf"\b{re.escape(above[1])} = ([^,\s]+)", row)[1])
        holds = value > float(above[2])
    else:
        word = re.search(r"the word '(.+)'", stated["what"])[1]
        holds = word in re.findall(r"[^\W\d_]+", row.split('"', 1)[1].casefold())
    return f"Output: {stated['one'] if holds else stated['other']}"


class LeastSquares:
    """Least squares on all rows that it was ever shown, with the features that it is given."""

    def __init__(self, features, form):
        self.features, self.form = features, form
        self.x, self.y = [], []

    def __call__(self, request):
        if request.purpose == "predict":
            return obeys(request)
        inputs, targets = batch_in(prompt_of(request))
        for row, target in zip(inputs.tolist(), targets.tolist(), strict=True):
            if row not in self.x:
                self.x.append(row)
                self.y.append(target)
        x = np.array(self.x)
        table = np.stack([feature(x[:, 0]) for feature in self.features], axis=1)
        found = np.linalg.lstsq(table, np.array(self.y), rcond=None)[0]
        formula = self.form.format(*(repr(float(value)) for value in found))
        return proposal("Least squares.", f"The output is {formula}.", f"Formula: y = {formula}")


def linear_student():
    return ScriptedClient(LeastSquares([np.ones_like, lambda x: x], "{0} + {1}*x"), name="least squares")


class Gradient:
    """One step of gradient descent on the mean squared error of the batch, along w and b of y = w*x + b."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, request):
        if request.purpose == "predict":
            return obeys(request)
        prompt = prompt_of(request)
        inputs, targets = batch_in(prompt)
        current = CURRENT.search(prompt)[1]
        numbers = re.findall(r"-?\d+\.?\d*(?:[eE][-+]?\d+)?", current)
        w, b = (float(numbers[0]), float(numbers[1])) if "x" in current else (0.0, float(numbers[0]))
        w, b = gradient_step(w, b, inputs[:, 0], targets, self.rate)
        return proposal("A step downhill.", "A line.", f"Formula: y = {w!r}*x + {b!r}")


def gradient_step(w, b, x, y, rate):
    error = w * x + b - y
    return float(w - rate * 2 * np.mean(error * x)), float(b - rate * 2 * np.mean(error))


class Faulty:
    """Another script, spoiled with a probability each: no headings, NaN for numbers, nothing at all, or a text that is worse."""

    def __init__(self, script, probability, seed):
        self.script, self.probability = script, probability
        self.random = random.Random(seed)
        self.spoiled = 0

    def __call__(self, request):
        answer = self.script(request)
        spoil = [self.random.random() < self.probability for _ in range(4)]
        self.spoiled += any(spoil)
        if spoil[0]:
            answer = re.sub(r"^(Reasoning|New Pattern Descriptions|Formula|Rules|Output):", "", answer, flags=re.MULTILINE)
        if spoil[1]:
            answer = re.sub(r"-?\d+\.?\d*(?:[eE][-+]?\d+)?", "nan", answer)
        if spoil[2]:
            answer = ""
        if spoil[3] and request.purpose == "propose":
            answer = proposal("Worse.", "Everything is a million.", "Formula: y = 1000000")
        return answer
