# SPDX-License-Identifier: Apache-2.0
# `cpack -G DEB`, in a build directory, makes libgdssm-dev: what `cmake --install` installs, with no programs. Whoever
# publishes it says who they are: -D CPACK_DEBIAN_PACKAGE_MAINTAINER="Name <address>".

# Where Debian's readers look for a licence.
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libgdssm-dev RENAME copyright COMPONENT gdssm_debian
        EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_NAME gdssm)
set(CPACK_PACKAGE_VENDOR gdssm)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
                                                WORLD_EXECUTE)

# Components, so that nothing which a fetched dependency installs comes along; as one package.
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_COMPONENTS_ALL gdssm gdssm_debian)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_NAME libgdssm-dev)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "gdssm maintainers <maintainers@gdssm.invalid>")
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libeigen3-dev (>= ${gdssm_eigen_version})")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "nlohmann-json3-dev (>= ${gdssm_nlohmann_json_version})")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "zlib1g-dev, libbz2-dev")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "A header-only C++20 library: diagonal recurrent layers with local
self-attention and a multiplicative output gate, whose state accumulates the
gradient of the linear model behind a stream of examples. Weights in closed
form, exact gradients, training, and learners for streams that need none.
.
gdssm/io/, for files of weights, needs nlohmann-json3-dev, and zlib1g-dev and
libbz2-dev for compressed ones.")
include(CPack)
