"""Live drawing: one warm process draws while sliders move and brushes paint; the server never imports torch.

`process` is the server's side, `sockets` what it says to browsers. `child` is the process: `warm` keeps models, `maps`
lays out many pictures, `canvas` finishes paintings, `known` tells of families and runs; `wishes` is what may be asked.
`frames` is how both speak.
"""
