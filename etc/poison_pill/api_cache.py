"""The poison pill: a worker that keeps a cache of the kingdom's spells, and syncs it with the API the moment it boots.

    python3 api_cache.py URL

It trusts that the API answers. With a typo in the URL it crashes; a supervisor starts it again, and it crashes again.
"""

import json
import signal
import sys
from urllib.request import ProxyHandler, build_opener


def fetch_spells(url: str) -> dict[str, str]:
    direct = build_opener(ProxyHandler({}))  # the API is on this machine, a proxy would not find it
    with direct.open(url, timeout=2) as answer:
        spells: dict[str, str] = json.load(answer)
    return spells


def main() -> None:
    cache = fetch_spells(sys.argv[1])
    print(f"api_cache: synced {len(cache)} spells", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
