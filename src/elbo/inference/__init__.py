"""How q is found: one algorithm a module, each run by its ``fit``.

What a new algorithm provides:

* a module here with ``fit``, listed in ``elbo.api.ALGORITHMS``, on a page of ``book/api`` and in a test of its own;
* for a model with closed forms: ``init(...) -> State``, ``step(model, x, state) -> State`` and ``fit(...)``, which
  repeats the step and returns the last state with a tidy history, as :mod:`elbo.inference.cavi` does. A state is a
  named tuple of tensors with the initialisations on a leading axis;
* for a stack of networks: an :class:`elbo.inference.train.Objective`, the loss of one model with its named terms, its
  noise and its settings, and ``fit(model, data, how)``, which hands it to :func:`elbo.inference.train.train`, as
  :mod:`elbo.inference.iwae` does. Start, minibatches, evaluation, snapshots and checkpoints are the trainer's;
* an explicit ``torch.Generator`` or seeds wherever it draws; nats per datum; a ``ValueError`` in one sentence for wrong
  input;
* a test against a second route: enumeration, a closed form, or another library.
"""
