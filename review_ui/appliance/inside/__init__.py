"""What runs in the appliance's own environment, next to argilla-server; never imported by the rest of Redpen.

It is a program of its own: `python -m inside.server` and `python -m inside.worker`, with this folder's parent on the
path. It imports the standard library, SQLAlchemy, FastAPI (with Starlette and uvicorn), NumPy, rq, redis,
pydantic and argilla_server.
"""
