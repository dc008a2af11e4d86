// What a Result should be, with its error in the log where it is something else.
#pragma once

#include "core/result.h"

#include <QTest>

#define VERIFY_OK(expression)                                                                      \
    do {                                                                                           \
        const auto& outcome = (expression);                                                        \
        QVERIFY2(outcome.has_value(), outcome ? "" : describe(outcome.error()).c_str());           \
    } while (false)
#define VERIFY_FAILS(expression, errc)                                                             \
    do {                                                                                           \
        const auto& outcome = (expression);                                                        \
        QVERIFY(!outcome.has_value());                                                             \
        QVERIFY2(outcome.error().code == (errc), describe(outcome.error()).c_str());               \
    } while (false)
