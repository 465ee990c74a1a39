"""How q is found: one algorithm a module, each run by its ``fit``.

What a new algorithm provides.

*For a model with closed forms*, as :mod:`elbo.inference.cavi`: ``init(...) -> State``, ``step(model, x, state) ->
State``, and ``fit(...)``, which repeats the step and returns the last state with a tidy history. A state is a named
tuple of tensors with the initialisations on a leading axis.

*For a stack of networks*, as :mod:`elbo.inference.iwae`::

    @algorithm(without=["beta"], optimiser="adam")  # choices without meaning here; defaults that differ
    def fit(model: VAE, data: Any, how: How, *, draws: int = 5) -> Trained:
        def build(plan: Plan) -> Objective: ...

        return train(model, data, build, how)

A caller passes every choice of :class:`elbo.inference.train.How` by name beside the algorithm's own keywords;
``algorithm`` puts them together. Start, minibatches, evaluation, snapshots and checkpoints are the trainer's. What
``build`` returns, an :class:`elbo.inference.train.Objective`, needs

* ``loss(params, x, noise, scalars) -> ()``, of one model, nats per datum, and ``terms``, the same as named summands;
* ``noise``, what one step draws, in its order (``plan.noise()`` has codes and pixels); nothing else may draw;
* ``settings``, JSON, with ``plan.settings`` and all that decides the loss: a checkpoint with others is refused;
* where it needs them, ``scalars`` with one row for each member, and ``start``, a change of the starting values.

*In either case* an explicit ``torch.Generator`` or seeds wherever it draws; a ``ValueError`` in one sentence for wrong
input; and a test against a second route: enumeration, quadrature, a closed form, or another library.

The places: the module here; its name in ``elbo.api.ALGORITHMS``; a page of ``book/api``;
``tests/inference/test_<name>.py``, with a short history recorded by ``tests/inference/test_histories.py`` where it
trains; and the map in ``CONTRIBUTING.md``, which ``python tests/support/house_map.py`` draws.
"""
