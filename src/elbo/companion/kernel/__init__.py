"""What a chapter calls. Runs inside the chapter's kernel; may import matplotlib and pandas, of this
wing ``project`` and ``record``.
"""
