// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Vm} from "./Vm.sol";

/// @notice Burns a part of every transfer.
contract FeeToken is ERC20("Fee", "FEE") {
    uint256 public feeBps;

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function setFee(uint256 bps) external {
        feeBps = bps;
    }

    function _update(address from, address to, uint256 amount) internal override {
        uint256 fee = from == address(0) || to == address(0) ? 0 : amount * feeBps / 10_000;
        super._update(from, to, amount - fee);
        if (fee != 0) super._update(from, address(0), fee);
    }
}

/// @notice Moves nothing and says that it did.
contract LyingToken is ERC20("Lying", "LIE") {
    bool public lies;

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function setLying(bool on) external {
        lies = on;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (!lies) super._update(from, to, amount);
    }
}

/// @notice Refuses to move anything from or to listed accounts.
contract BlockingToken is ERC20("Blocking", "BLK") {
    error Blocked(address account);

    mapping(address account => bool) public blocked;

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function setBlocked(address account, bool on) external {
        blocked[account] = on;
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!blocked[from], Blocked(from));
        require(!blocked[to], Blocked(to));
        super._update(from, to, amount);
    }
}

/// @notice Returns nothing from its calls, as some old tokens do.
contract SilentToken {
    mapping(address account => uint256) public balanceOf;
    mapping(address account => mapping(address spender => uint256)) public allowance;

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @notice Lets `actor` make one call to `target` in the middle of a transfer, before or after the money has moved.
contract ReenteringToken is ERC20("Reentering", "RE") {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address private _actor;
    address private _target;
    bytes private _call;
    bool private _before;

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function arm(address actor, address target, bytes calldata call, bool before) external {
        (_actor, _target, _call, _before) = (actor, target, call, before);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (_before) _reenter();
        super._update(from, to, amount);
        if (!_before) _reenter();
    }

    function _reenter() private {
        if (_call.length == 0) return;
        bytes memory call = _call;
        delete _call; // once: the call may move tokens itself
        vm.prank(_actor);
        (bool success,) = _target.call(call);
        success; // a refusal is as good as a success: what counts is what the market owes afterwards
    }
}
