"""What a run came from and what it leaves behind. Runs in every process; imports ``project``, the
ledger, nothing heavy at once.
"""
