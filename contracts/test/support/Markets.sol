// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITrainingMarket} from "../../src/interfaces/ITrainingMarket.sol";
import {Mintable} from "./Mintable.sol";
import {Test} from "./Test.sol";

/// @notice Deploys the market's contracts, each with the addresses that the others will have. They come from their artifacts:
/// a test that held their code would be compiled for minutes.
abstract contract Markets is Test {
    function _newMarket() internal returns (ITrainingMarket market) {
        uint256 nonce = vm.getNonce(address(this));
        address expected = vm.computeCreateAddress(address(this), nonce + 4);
        address masks = vm.computeCreateAddress(address(this), nonce + 1);
        address proofs = vm.deployCode("FraudProofs.sol:FraudProofs", abi.encode(expected, masks));
        vm.deployCode("MaskProofs.sol:MaskProofs", abi.encode(expected, proofs));
        address demands = vm.deployCode("ChunkDemands.sol:ChunkDemands", abi.encode(expected));
        address scores = vm.deployCode("ContributionScores.sol:ContributionScores", abi.encode(expected));
        market =
            ITrainingMarket(vm.deployCode("TrainingMarket.sol:TrainingMarket", abi.encode(proofs, demands, scores)));
        assertEq(address(market), expected, "the market's address");
    }

    function _newDevToken() internal returns (Mintable) {
        return Mintable(vm.deployCode("DevToken.sol:DevToken"));
    }
}
