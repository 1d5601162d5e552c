// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFraudProofs} from "./IFraudProofs.sol";
import {ITrainingMarket} from "./ITrainingMarket.sol";

/// @title IMaskProofs
/// @notice Judges merges of masked updates.
interface IMaskProofs {
    /// @notice The market whose merges are judged.
    function market() external view returns (ITrainingMarket);

    /// @notice The contract that voids what is found wrong here.
    function proofs() external view returns (IFraudProofs);
}
