// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChunkDemands} from "../../src/ChunkDemands.sol";
import {FraudProofs} from "../../src/FraudProofs.sol";
import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {ITrainingMarket} from "../../src/interfaces/ITrainingMarket.sol";
import {Test} from "./Test.sol";

/// @notice Deploys the three contracts, each with the addresses that the others will have.
abstract contract Markets is Test {
    function _newMarket() internal returns (TrainingMarket market) {
        uint256 nonce = vm.getNonce(address(this));
        ITrainingMarket expected = ITrainingMarket(vm.computeCreateAddress(address(this), nonce + 2));
        (FraudProofs proofs, ChunkDemands demands) = (new FraudProofs(expected), new ChunkDemands(expected));
        market = new TrainingMarket(address(proofs), address(demands));
        assertEq(address(market), address(expected), "the market's address");
    }
}
