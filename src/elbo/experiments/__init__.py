"""What the chapters compute, one package a chapter: parameters in, tidy tables out."""
