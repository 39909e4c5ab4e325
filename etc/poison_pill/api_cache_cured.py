"""The cure: the same cache, which takes an API that does not answer for what it is, an everyday event.

    python3 api_cache_cured.py URL [SECONDS]

It handles the error, says so in one line, keeps the cache that it has, and schedules its next try, SECONDS later (2
unless told). What it does not expect (no URL given, a bug) still crashes it: for that there is a supervisor.
"""

import sys
import time
from http.client import HTTPException

from api_cache import fetch_spells

REFRESH = 60.0  # seconds between two syncs when all is well


def main() -> None:
    url = sys.argv[1]
    retry = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    cache: dict[str, str] = {}
    while True:
        try:
            cache = fetch_spells(url)
        except (OSError, HTTPException, ValueError) as error:  # no answer, half an answer, an answer that is no JSON
            print(f"api_cache: still {len(cache)} spells: {error}; next try in {retry:g} s", flush=True)
            time.sleep(retry)
        else:
            print(f"api_cache: synced {len(cache)} spells", flush=True)
            time.sleep(REFRESH)


if __name__ == "__main__":
    main()
