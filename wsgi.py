"""The entry point of a WSGI server: `granian --interface wsgi wsgi:app`."""

import gc

from service.app import create_app
from service.runtime import open_runtime
from service.settings import settings_from
from service.web.health import refuse_unsafe_server
from service.web.logs import log_as_json

log_as_json()
runtime = open_runtime(settings_from())
refuse_unsafe_server(runtime.database)
app = create_app(runtime)

# A feed makes a hundred thousand objects that live until it is answered. With Python's own
# thresholds the collector walked them again and again, for a third of the worker's time.
gc.collect()
gc.freeze()
gc.set_threshold(500_000, 20, 20)
