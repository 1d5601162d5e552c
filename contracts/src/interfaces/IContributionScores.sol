// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITrainingMarket} from "./ITrainingMarket.sol";

/// @title IContributionScores
/// @notice Divides what a market's bounties pay by contribution.
interface IContributionScores {
    /// @notice The market whose rounds are divided.
    function market() external view returns (ITrainingMarket);
}
