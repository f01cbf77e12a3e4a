"""A home folder for the pictures of the studio's pages: flowers, generators of them, and what was made with these.

    python -m bench.show_studio_home --home HOME [--minutes 25]

All of it is done through a running studio, as its pages do. Trainings are left to run and to wait, so that there is
something to see: they go on with the next start of the studio.
"""

import argparse
from pathlib import Path
from typing import Any

from tests.serving import Server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25)
    options = parser.parse_args()
    with Server(options.home) as server, server.client() as client:

        def done(task: str, **more: Any) -> dict[str, Any]:
            job = client.wait(client.ask(task, **more), 7200)
            print(job["result"]["text"].splitlines()[:1], flush=True)
            return job

        def do(task: str, **more: Any) -> list[str]:
            return done(task, **more)["result"]["pictures"]

        do("import", source="blossoms", name="flowers", count=1600, size="128")
        do("import", source="blossoms", name="meadow", count=240, size="96x64")
        how = {"dataset": "flowers", "preview_every": 30}
        large = done("train", family="stylegan", size="64", minutes=options.minutes, **how)["run"]
        small = done("train", family="flow", size="32", minutes=options.minutes / 3, **how)["run"]
        do("directions", run=large)
        drawn = do("sample", run=large, count=18, seed=1)
        slider = client.get(f"/api/runs/{int(large[:4])}/drawing")["sliders"][0]["name"]
        drawn += do("sample", run=large, count=6, seed=40, slide=[f"{slider}=1.5"])
        drawn += do("sample", run=small, count=6, seed=7)
        pictures = {one["id"]: one for one in client.get("/api/pictures", limit=200)["pictures"]}
        single = [one for one in drawn if pictures[one]["width"] == 128]
        enlarged = do("upscale", picture=f"picture:{single[0]}", factor=4)[0]
        wide = do("outpaint", picture=f"picture:{single[3]}", to="228x128")
        varied = do("variations", picture=f"picture:{enlarged}", count=3)
        do("animate", run=large, seeds="1,5,9", seconds=4.0, loop=True, scale=2)
        cards, ideas = (client.post("/api/boards", {"name": name})["id"] for name in ("Cards", "Ideas"))
        client.post("/api/pictures/mark", {"pictures": single[:6], "starred": True})
        client.post("/api/pictures/mark", {"pictures": [*single[2:9], *wide], "add": cards})
        client.post("/api/pictures/mark", {"pictures": [enlarged, *varied], "add": ideas})
        for family, minutes in (("gan", 90), ("vae", 20), ("stackgan", 45)):
            client.ask("train", dataset="flowers", family=family, size="64", minutes=minutes)


if __name__ == "__main__":
    main()
