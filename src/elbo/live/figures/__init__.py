"""One module a live figure: its record, its Python twin, its picture on paper."""
