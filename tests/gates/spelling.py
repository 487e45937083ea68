"""British spellings, for the gates that look at names and at prose."""

import re

BRITISH = re.compile(
    r"(normal|standard|optim|initial|quant|factor|summar|penal|regular|token|serial|recogn|maxim"
    r"|minim|general|final|random|real|organ|util|vector|parallel|emphas)"
    r"is(e|ed|es|er|ers|ing|ation)(?![a-z])"
    r"|behaviour|colour|neighbour|favour|honour|centre|(label|cancel|model|travel|signal)l(ed|ing)"
    r"|catalogue|licence|grey",
    re.IGNORECASE,
)
