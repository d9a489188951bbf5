"""Element templates: a service's steps and compensations, picked from a list in Camunda Modeler."""

from sagaworks.templates.files import FOLDER, Written, stale, write
from sagaworks.templates.template import template_of

__all__ = ["FOLDER", "Written", "stale", "template_of", "write"]
