"""The manifest's section `[masking]`: how a masked bounty groups its members (docs/PROTOCOL.md, section 16)."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from node.manifest_sections import Section

RULES = ("mean", "trimmed_mean", "median")
"""Merge rules that need nothing but sums of groups."""


class MaskingSection(Section):
    """Groups of about `group` members; `threshold` of so many have to live for a group's sum to be found."""

    group: int = Field(ge=3, le=15)
    threshold: int = Field(ge=2, le=14)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.group < 2 * self.threshold < 2 * self.group:
            raise ValueError("threshold must be more than half of group, and less than group")
        return self

    @property
    def description(self) -> str:
        """What a person should know before joining."""
        return (
            f"in groups of about {self.group}, drawn anew each round; only a group's sum can be seen. It takes "
            f"{self.threshold} of {self.group} who stay until the masks are off, or the group is left out unpaid. "
            f"{self.threshold} of {self.group} who collude with whoever merges can lay the others' updates open"
        )


def masking_problems(mode: str, honest: int, section: MaskingSection | None, rule: str, screens: bool) -> list[str]:
    """What of a manifest does not go with its privacy mode; empty if all does. honest: `privacy.honest`, or 0."""
    if (mode == "masked") != (section is not None):
        return ['the section masking goes with privacy.mode = "masked", and only with it']
    if section is None:
        return []
    problems = []
    if rule not in RULES:
        problems.append(f"merge.rule: masked updates can be merged by {', '.join(RULES)} only, across sums of groups")
    if screens:
        problems.append("screening: leave it out; nobody sees a single update in masked mode")
    if honest > section.threshold:
        problems.append(
            f"privacy.honest counts on the noise of {honest} providers, but a sum may have only that of "
            f"masking.threshold, {section.threshold}"
        )
    return problems
