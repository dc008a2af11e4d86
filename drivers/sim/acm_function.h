// What every CDC-ACM device of the bench is alike in, whatever stands behind its data endpoints.
#pragma once

#include "sim/acm_descriptors.h"

#include <string>

namespace provost::sim {

class AcmFunction : public Chapter9Function {
public:
    Bytes configurationDescriptor() const final { return acm::configurationDescriptor(); }
    Bytes stringDescriptor(std::uint8_t index) const final
    {
        const Strings strings = this->strings();
        switch (index) {
        case 0:
            return acm::languages();
        case 1:
            return stringDescriptorOf(strings.manufacturer);
        case 2:
            return stringDescriptorOf(strings.product);
        case 3:
            return stringDescriptorOf(strings.serial);
        default:
            return {};
        }
    }

protected:
    struct Strings {
        std::string manufacturer{};
        std::string product{};
        std::string serial{};
    };
    virtual Strings strings() const = 0;
    bool alternateSelected(std::uint8_t interface, std::uint8_t alternate) final
    {
        return interface < 2 && alternate == 0;
    }
};

} // namespace provost::sim
