// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFraudProofs} from "./interfaces/IFraudProofs.sol";
import {IMaskProofs} from "./interfaces/IMaskProofs.sol";
import {ITrainingMarket} from "./interfaces/ITrainingMarket.sol";

/// @title MaskProofs
/// @notice Judges merges of masked updates.
contract MaskProofs is IMaskProofs {
    /// @inheritdoc IMaskProofs
    ITrainingMarket public immutable market;

    /// @inheritdoc IMaskProofs
    IFraudProofs public immutable proofs;

    constructor(ITrainingMarket newMarket, IFraudProofs newProofs) {
        (market, proofs) = (newMarket, newProofs);
    }
}
