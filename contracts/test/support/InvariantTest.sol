// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Tells forge what a run of an invariant test is made of: actions of one handler, and of nobody else.
abstract contract InvariantTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @return handler Whose actions they are.
    /// @return selectors One a word, drawn evenly: those that stand there more often are drawn more often.
    function _actions() internal view virtual returns (address handler, bytes memory selectors);

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        (targets[0],) = _actions();
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        (address handler, bytes memory words) = _actions();
        bytes memory list = abi.encodePacked(uint256(32), words.length / 32, words);
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(handler, abi.decode(list, (bytes4[])));
    }
}
