"""The experiments of the chapter on Blei, Kucukelbir & McAuliffe (2017): parameters to tidy tables, one function a
figure."""
