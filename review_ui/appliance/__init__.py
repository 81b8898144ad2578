"""The embedded Argilla: an environment of its own, its launcher and its supervisor.

    from review_ui.appliance.appliance import Appliance

    with Appliance(project / "argilla") as running:          # start(): Running; stop() when the block ends
        client = argilla.Argilla(api_url=running.url, api_key=running.api_key)
        running.owner_file                                   # JSON: username, password, api_key, url; mode 0600

`Appliance(home, host="127.0.0.1", port=None)`: None takes the home's last port if it is free, else any. The first `start()`
creates the environment in the user's cache with a progress bar (`ensure_environment()` does only that, and
`environment.is_ready()` asks). Everything ends with the process that called `start()`, even when that is killed.
Reviewers are made through Argilla's own API. Logs: `<home>/logs/`.
"""
