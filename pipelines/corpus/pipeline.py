"""The corpus in, the table of its real images out."""

from kedro.pipeline import Pipeline, node

from pipelines.corpus.nodes import index_corpus


def create_pipeline() -> Pipeline:
    """Returns the graph."""
    return Pipeline(
        [
            node(
                index_corpus,
                ["params:corpus", "previous_corpus_images"],
                "corpus_images",
                name="index_corpus",
            )
        ]
    )
