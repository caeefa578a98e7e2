"""Rows of a training's history on their way from its node to whoever follows the run, as they are made.

Kedro's hooks see what a node gives when the node is done, which for an arm may be days later.
"""

from collections.abc import Callable, Mapping

Follower = Callable[[str, Mapping[str, float]], None]
_followers: list[Follower] = []


def follow(follower: Follower) -> None:
    """Has a follower told of every row, with the arm's name; it must not raise, or it ends the training."""
    _followers.append(follower)


def leave(follower: Follower) -> None:
    """Tells a follower no more."""
    _followers.remove(follower)


def tell(arm: str, row: Mapping[str, float]) -> None:
    """Tells the followers of this process; in a process of their own (ParallelRunner) nodes have none."""
    for follower in _followers:
        follower(arm, row)
