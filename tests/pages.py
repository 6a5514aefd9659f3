"""The pages that users read (README.md and docs/*.md), as tests take their examples from them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Block:
    section: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its text, and its fenced blocks by the heading (`## …`) that they stand under."""

    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def blocks(self) -> list[Block]:
        found, section = [], ""
        for heading, language, text in re.findall(r"^##+ ([^\n]+)$|^```(\w+)\n(.*?)^```$", self.text, re.M | re.S):
            section = heading or section
            if language:
                found.append(Block(section, language, text))
        return found

    def code(self, section: str, language: str = "python") -> list[str]:
        """The blocks of one language in a section; it is an error if there are none."""
        found = [block.text for block in self.blocks() if (block.section, block.language) == (section, language)]
        assert found, f"{self.path.name} has no {language} under {section!r}"
        return found

    def commands(self, section: str) -> list[list[str]]:
        """What the page types at the shell's prompt in a section, without comments."""
        return typed(*self.code(section, "console"))

    def between(self, begin: str, end: str) -> str:
        return self.text.partition(begin)[2].partition(end)[0].strip()


def typed(*texts: str) -> list[list[str]]:
    """The commands of console blocks, each as its words."""
    lines = [line.removeprefix("$ ") for text in texts for line in text.splitlines() if line.startswith("$ ")]
    return [shlex.split(line, comments=True) for line in lines]


README = Page(ROOT / "README.md")


def docs(name: str) -> Page:
    """The page docs/NAME.md."""
    return Page(ROOT / "docs" / f"{name}.md")
