"""mteb: encoders and searches with a correction, and the gap between the corpus and the queries of a task."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.align._base import Aligner
from isthmus.compute.arrays import to_numpy
from isthmus.data.pairs import Pairs
from isthmus.metrics import measure
from isthmus.utils.errors import InputError, import_optional

#: Keys of a batch that hold a modality.
MODALITIES = ("text", "image", "audio", "video")
#: Scores of a block of queries.
BLOCK_QUERIES = 1_000


class AlignedEncoder:
    """Encoder of mteb whose vectors a correction aligns (EncoderProtocol).

    Queries take the form `query` and all other inputs the form `stored`, by the modality of their batch. Its similarity
    is the inner product.

    Parameters
    ----------
    model : mteb.EncoderProtocol
        The encoder.
    correction : Aligner
        A correction that was fitted to vectors of the encoder, with mteb's names: text, image, audio or video.

    Raises
    ------
    InputError
        While it encodes, if a task does not say what is a query, and the correction has two forms.

    Examples
    --------
    >>> mteb.evaluate(AlignedEncoder(model, correction), tasks)  # doctest: +SKIP
    """

    def __init__(self, model: Any, correction: Aligner):
        self.model, self.correction = model, correction

    def encode(self, inputs: Any, *, prompt_type: Any = None, **options: Any) -> np.ndarray:
        """Return the aligned vectors of a data loader.

        Parameters
        ----------
        inputs : torch.utils.data.DataLoader
            Batches of one modality.
        prompt_type : mteb.types.PromptType, optional
            Whether the inputs are queries or documents.
        **options : Any
            Arguments of the encoder.

        Returns
        -------
        numpy.ndarray
            Vectors (n, k).

        Raises
        ------
        InputError
            If batches hold several modalities, or the role of the inputs is unknown and matters.
        """
        modality = batch_modality(inputs)
        rows = to_numpy(self.model.encode(inputs, prompt_type=prompt_type, **options))
        if prompt_type is None and self.correction.corrects_scores:
            raise InputError(
                f"{type(self.correction).__name__} corrects scores of queries and stored rows, and this task takes "
                "encoders only, without such roles; use a row map, such as Centering"
            )
        is_query = prompt_type is not None and str(getattr(prompt_type, "value", prompt_type)) == "query"
        role = self.correction.query if is_query else self.correction.stored
        return np.asarray(role(rows, modality=modality))

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Return the inner products of two sets of vectors, as a tensor.

        Parameters
        ----------
        embeddings1, embeddings2 : array-like
            Vectors (m, k) and (n, k).

        Returns
        -------
        torch.Tensor
            Inner products (m, n).
        """
        torch = import_optional("torch", "torch", "AlignedEncoder")
        x, y = (torch.atleast_2d(torch.as_tensor(rows)) for rows in (embeddings1, embeddings2))
        return x @ y.T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Return the inner products of the rows of two sets of vectors, as a tensor.

        Parameters
        ----------
        embeddings1, embeddings2 : array-like
            Vectors (n, k).

        Returns
        -------
        torch.Tensor
            Inner products (n,).
        """
        torch = import_optional("torch", "torch", "AlignedEncoder")
        return (torch.as_tensor(embeddings1) * torch.as_tensor(embeddings2)).sum(dim=-1)

    @property
    def mteb_model_meta(self) -> Any:
        """Metadata of the model under a name of its own, so that results are kept apart."""
        return _meta(self.model, self.correction)


class AlignedSearch:
    """Search of mteb that ranks the corpus by the scores of a correction (SearchProtocol).

    Parameters
    ----------
    model : mteb.EncoderProtocol
        The encoder.
    correction : Aligner
        A correction that was fitted to vectors of the encoder, with mteb's names: text, image, audio or video.

    Examples
    --------
    >>> mteb.evaluate(AlignedSearch(model, correction), tasks)  # doctest: +SKIP
    """

    def __init__(self, model: Any, correction: Aligner):
        self.model, self.correction = model, correction
        self._corpus: Any = None

    def index(self, corpus: Any, **options: Any) -> None:
        """Encode the corpus.

        Parameters
        ----------
        corpus : datasets.Dataset
            Documents with their ids.
        **options : Any
            Arguments of mteb.
        """
        rows, modality = _encoded(self.model, corpus, "document", **options)
        self._corpus = (list(corpus["id"]), rows, modality)

    def search(
        self, queries: Any, *, top_k: int, top_ranked: Any = None, **options: Any
    ) -> dict[str, dict[str, float]]:
        """Return the best documents of each query with their corrected scores.

        Parameters
        ----------
        queries : datasets.Dataset
            Queries with their ids.
        top_k : int
            Number of documents.
        top_ranked : mapping, optional
            Ids of the documents that are ranked for each query. Default: all.
        **options : Any
            Arguments of mteb.

        Returns
        -------
        dict
            Scores by the ids of query and document.

        Raises
        ------
        InputError
            If nothing is indexed.
        """
        if self._corpus is None:
            raise InputError("the corpus is not encoded; call index() before search()")
        document_ids, documents, stored = self._corpus
        rows, modality = _encoded(self.model, queries, "query", **options)
        query_ids = list(queries["id"])
        position = {document: number for number, document in enumerate(document_ids)} if top_ranked else {}
        found: dict[str, dict[str, float]] = {}
        for begin in range(0, len(rows), BLOCK_QUERIES):
            block = rows[begin : begin + BLOCK_QUERIES]
            scores = np.asarray(self.correction.scores(block, documents, query=modality, stored=stored))
            for query, values in zip(query_ids[begin : begin + BLOCK_QUERIES], scores, strict=True):
                ranked = np.arange(len(values))
                if top_ranked is not None:
                    ranked = np.array([position[document] for document in top_ranked.get(query, ())], dtype=int)
                best = ranked[np.argsort(-values[ranked], kind="stable")[:top_k]]
                found[query] = {document_ids[number]: float(values[number]) for number in best}
        return found

    @property
    def mteb_model_meta(self) -> Any:
        """Metadata of the model under a name of its own, so that results are kept apart."""
        return _meta(self.model, self.correction)


def gap(model: Any, task: Any, /, *, split: str = "test", subset: str = "default", **options: Any) -> Any:
    """Measure the gap between the corpus and the queries of a retrieval task, each query with its relevant documents.

    Parameters
    ----------
    model : mteb.EncoderProtocol
        The encoder.
    task : mteb.AbsTask
        A retrieval task.
    split : str, default "test"
        Split of the task.
    subset : str, default "default"
        Subset of the task.
    **options : Any
        Arguments of `isthmus.measure`, such as `metrics="fast"`.

    Returns
    -------
    Result
        The measures. The modalities are those of corpus and queries, or 'corpus' and 'queries' if both are one.

    Raises
    ------
    InputError
        If the task has no corpus and queries, or fewer than two relevant documents.

    Examples
    --------
    >>> gap(model, mteb.get_task("Flickr30kT2IRetrieval"))["centroid_angle"].value  # doctest: +SKIP
    """
    if not getattr(task, "data_loaded", False):
        task.load_data()
    data = getattr(task, "dataset", {}).get(subset, {}).get(split)
    if data is None or "relevant_docs" not in data:
        raise InputError(f"{task.metadata.name}: has no corpus and queries of {subset}/{split}; give a retrieval task")
    arguments = {"task_metadata": task.metadata, "hf_split": split, "hf_subset": subset, "encode_kwargs": {}}
    documents, stored = _encoded(model, data["corpus"], "document", **arguments)
    queries, asking = _encoded(model, data["queries"], "query", **arguments)
    document_numbers = {name: number for number, name in enumerate(data["corpus"]["id"])}
    query_numbers = {name: number for number, name in enumerate(data["queries"]["id"])}
    pairs = [
        (document_numbers[document], query_numbers[query])
        for query, relevant in data["relevant_docs"].items()
        for document, relevance in relevant.items()
        if relevance > 0 and query in query_numbers and document in document_numbers
    ]
    if len(pairs) < 2:
        raise InputError(f"{task.metadata.name}: has {len(pairs)} relevant documents, expected two or more")
    numbers = np.array(pairs)
    items, index = np.unique(numbers[:, 0], return_inverse=True)
    names = (stored, asking) if stored != asking else ("corpus", "queries")
    return measure(Pairs(index=index, **{names[0]: documents[items], names[1]: queries[numbers[:, 1]]}), **options)


def batch_modality(inputs: Any) -> str:
    """Return the modality of the batches of a data loader, by the keys of the first one."""
    batch = next(iter(inputs), None)
    names = [name for name in MODALITIES if batch is not None and name in batch]
    if len(names) != 1:
        raise InputError(
            f"got batches of {' and '.join(names) or 'no modality'}, expected one modality in a batch; encode one at a "
            "time"
        )
    return names[0]


def _encoded(
    model: Any,
    rows: Any,
    role: str,
    *,
    task_metadata: Any,
    hf_split: str,
    hf_subset: str,
    encode_kwargs: Any,
    num_proc: int | None = None,
    **_: Any,
) -> tuple[np.ndarray, str]:
    """Return the vectors of documents or queries, and their modality."""
    loaders = import_optional("mteb._create_dataloaders", "mteb", "a task of mteb", package="mteb")
    prompt_type = import_optional("mteb.types", "mteb", "a task of mteb", package="mteb").PromptType(role)
    inputs = loaders.create_dataloader(
        rows,
        task_metadata=task_metadata,
        prompt_type=prompt_type,
        batch_size=encode_kwargs.get("batch_size", 32),
        num_proc=num_proc,
    )
    vectors = model.encode(
        inputs,
        task_metadata=task_metadata,
        hf_split=hf_split,
        hf_subset=hf_subset,
        prompt_type=prompt_type,
        **encode_kwargs,
    )
    return to_numpy(vectors), batch_modality(inputs)


def _meta(model: Any, correction: Aligner) -> Any:
    """Return the metadata of a model with the name of the correction and a hash of its content."""
    meta = model.mteb_model_meta
    name = f"{meta.name or 'isthmus/model'}-{type(correction).__name__}"
    return meta.model_copy(update={"name": name, "revision": f"{meta.revision or 'none'}-{correction.digest()[:12]}"})
