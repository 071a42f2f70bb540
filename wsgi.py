"""The entry point of a WSGI server: `granian --interface wsgi wsgi:app`."""

from service.app import create_app
from service.runtime import open_runtime
from service.settings import settings_from
from service.web.health import refuse_unsafe_server
from service.web.logs import log_as_json

log_as_json()
runtime = open_runtime(settings_from())
refuse_unsafe_server(runtime.database)
app = create_app(runtime)
