"""The two contracts that hold the house together.

`family`: how a model learns and draws (needs torch).
`task`: what a user can ask for (light: the command line imports it to answer `--help` at once).
"""
