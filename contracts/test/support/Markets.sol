// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITrainingMarket} from "../../src/interfaces/ITrainingMarket.sol";
import {Mintable} from "./Mintable.sol";
import {Test} from "./Test.sol";

/// @notice Deploys the three contracts, each with the addresses that the others will have. They come from their artifacts:
/// a test that held their code would be compiled for minutes.
abstract contract Markets is Test {
    function _newMarket() internal returns (ITrainingMarket market) {
        uint256 nonce = vm.getNonce(address(this));
        address expected = vm.computeCreateAddress(address(this), nonce + 2);
        address proofs = vm.deployCode("FraudProofs.sol:FraudProofs", abi.encode(expected));
        address demands = vm.deployCode("ChunkDemands.sol:ChunkDemands", abi.encode(expected));
        market = ITrainingMarket(vm.deployCode("TrainingMarket.sol:TrainingMarket", abi.encode(proofs, demands)));
        assertEq(address(market), expected, "the market's address");
    }

    function _newDevToken() internal returns (Mintable) {
        return Mintable(vm.deployCode("DevToken.sol:DevToken"));
    }
}
