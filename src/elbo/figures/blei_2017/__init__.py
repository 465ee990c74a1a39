"""The figures of the chapter on Blei, Kucukelbir & McAuliffe (2017): tidy tables to matplotlib figures, one function
each."""
