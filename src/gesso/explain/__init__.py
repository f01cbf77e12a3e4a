"""What can be said of a picture that a model drew, in words and pictures, for people who train no networks.

`story`: what is found out about it. `page`: that as one HTML file, which needs nothing else; `look`: its style sheet.
`judging`: what a critic or a classifier looks at.
"""

from gesso.explain.page import page_of
from gesso.explain.story import Story, story_of

__all__ = ["Story", "page_of", "story_of"]
