// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DevToken} from "../src/DevToken.sol";
import {Test} from "./support/Test.sol";

contract DevTokenTest is Test {
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    DevToken private _token = new DevToken();

    function testFuzz_mint__byAnyone__addsToTheBalanceAndTheSupply(address caller, uint256 amount) public {
        vm.assume(caller != address(0));
        vm.prank(caller);
        _token.mint(caller, amount);
        assertEq(_token.balanceOf(caller), amount, "balance");
        assertEq(_token.totalSupply(), amount, "supply");
    }

    function testFuzz_permit__withTheHoldersSignature__approves(uint256 key, address spender, uint256 value) public {
        key = bound(key, 1, 1 << 200);
        vm.assume(spender != address(0));
        address holder = vm.addr(key);
        bytes32 contents = keccak256(abi.encode(PERMIT, holder, spender, value, 0, block.timestamp));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", _token.DOMAIN_SEPARATOR(), contents));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        _token.permit(holder, spender, value, block.timestamp, v, r, s);
        assertEq(_token.allowance(holder, spender), value, "allowance");
    }
}
