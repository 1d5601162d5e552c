// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IContributionScores} from "./interfaces/IContributionScores.sol";
import {ITrainingMarket} from "./interfaces/ITrainingMarket.sol";

/// @title ContributionScores
/// @notice Divides what a market's bounties pay by contribution.
contract ContributionScores is IContributionScores {
    /// @inheritdoc IContributionScores
    ITrainingMarket public immutable market;

    constructor(ITrainingMarket newMarket) {
        market = newMarket;
    }
}
