"""What the chapters draw, one package a chapter: tidy table in, figure out; no figure computes."""
