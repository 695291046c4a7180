"""ANSI/NIST-ITL transactions in the traditional encoding: read, write, check, convert.

transaction = itl.read("tenprint.an2")              # lax: what is wrong stands in transaction.problems
for record in transaction.of_type(4, 14):
    print(record.idc, record["FGP"], record.pixels().shape)
for record in transaction.of_type(9):
    minutiae = record.minutiae()                    # pixels at 500 ppi, whichever block they stand in
findings = transaction.check("pruem")
answer = itl.error_message(findings)                # the text of field 2.074 of an ERR
"""

from pcc_match.errors import RecordError, TemplateError
from pcc_match.itl import images
from pcc_match.itl.minutiae import Minutia, Minutiae
from pcc_match.itl.problems import Problem, error_message
from pcc_match.itl.profiles import tcn_check_character
from pcc_match.itl.raster import image_fields
from pcc_match.itl.records import BinaryRecord, Record, TaggedRecord
from pcc_match.itl.templates import Template, View, read_template
from pcc_match.itl.transaction import Transaction, read
from pcc_match.itl.type9_write import converted_fields, type9_fields

__all__ = [
    "BinaryRecord",
    "Minutia",
    "Minutiae",
    "Problem",
    "Record",
    "RecordError",
    "TaggedRecord",
    "Template",
    "TemplateError",
    "Transaction",
    "View",
    "converted_fields",
    "error_message",
    "image_fields",
    "images",
    "read",
    "read_template",
    "tcn_check_character",
    "type9_fields",
]
